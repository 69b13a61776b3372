import express, { type Express } from "express";

/** An app that compares paths byte by byte and adds nothing to answers. */
export function plainApp(): Express {
  const app = express();
  app.enable("strict routing");
  app.enable("case sensitive routing");
  app.disable("x-powered-by");
  app.disable("etag");
  return app;
}
