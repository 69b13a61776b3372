// Answers every request with 40 KB that are there already, by Express alone. A process of its own, gone with its parent.
import type { AddressInfo } from "node:net";
import express from "express";

const BODY_BYTES = 40_000;

const body = Buffer.alloc(BODY_BYTES, "x");
const app = express();
app.get("/", (_request, response) => {
  response.set("Content-Type", "application/json").end(body);
});
const server = app.listen(0, "127.0.0.1", () => {
  process.send?.({ port: (server.address() as AddressInfo).port });
});
process.once("disconnect", () => process.exit());
