// A homeserver that costs little: it answers what a sidecar asks and lets events happen at a given rate. A process of its
// own, told what to do by its parent, and gone with it.
import { createReadStream, statSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { nowUs } from "../clock.ts";
import {
  FLOOD_ROOMS,
  floodRoom,
  floodUser,
  GROUP_ROOMS,
  GROUP_USERS,
  groupRoom,
  groupUser,
  identityOf,
  tokenOf,
  userId,
} from "../population.ts";
import { timelineEvent, toDeviceMessage } from "./events.ts";
import type { DoneMessage, FloodDone, LiveDone, Order, OrderMessage, ReadyMessage } from "./orders.ts";
import { emptyBody, floodBody, groupBody, namingBody } from "./rooms.ts";

/** Text that brings a live message to an ordinary length. */
const PADDING = "and then some words more ".repeat(12);

interface LiveEvent {
  readonly room: string;
  readonly label: string;
  readonly sender: string;
  /** When it happened. */
  readonly dueUs: number;
}

/** One device's v2 stream. */
interface Device {
  readonly name: string;
  next: number;
  pending: LiveEvent[];
  /** Whole messages to it. */
  messages: readonly string[];
  readonly unread: Map<string, number>;
  parked: ServerResponse | undefined;
  timer: NodeJS.Timeout | undefined;
}

interface Flood {
  stored: number;
  readonly users: ReadonlySet<string>;
}

const devices = new Map<string, Device>();
/** By owner. */
const accounts = new Map<string, { readonly file: string; readonly rooms: number }>();
let flood: Flood | undefined;

const server = createServer({ keepAliveTimeout: 600_000 }, (request, response) => {
  const url = new URL(request.url ?? "/", "http://upstream");
  const token = tokenIn(request);
  if (url.pathname.endsWith("/versions")) sendJson(response, '{"versions":["v1.11"],"unstable_features":{}}');
  else if (url.pathname.endsWith("/account/whoami")) sendJson(response, whoami(token));
  else if (url.pathname.endsWith("/sync")) sync(token, url.searchParams, response);
  else sendJson(response, '{"errcode":"M_UNRECOGNIZED","error":"Unrecognized request"}', 404);
});

const tokenIn = (request: IncomingMessage): string => (request.headers.authorization ?? "").replace("Bearer ", "");

function whoami(token: string): string {
  const { name, device } = identityOf(token);
  return JSON.stringify({ user_id: userId(name), device_id: device, is_guest: false });
}

function sync(token: string, query: URLSearchParams, response: ServerResponse): void {
  if (query.get("since") === null) {
    initialSync(token, query.get("filter") ?? "", response);
    return;
  }
  const device = deviceOf(token);
  const timeoutMs = Number(query.get("timeout") ?? "0");
  if (flood?.users.has(device.name)) answerFlood(device, flood, response);
  else if (device.pending.length + device.messages.length > 0 || timeoutMs === 0) answer(device, response);
  else park(device, response, timeoutMs);
}

function deviceOf(token: string): Device {
  const known = devices.get(token);
  if (known !== undefined) return known;
  const { name } = identityOf(token);
  const device: Device = {
    name,
    next: 1,
    pending: [],
    messages: [],
    unread: new Map(),
    parked: undefined,
    timer: undefined,
  };
  devices.set(token, device);
  return device;
}

function initialSync(token: string, filter: string, response: ServerResponse): void {
  const { name } = identityOf(token);
  const account = accounts.get(name);
  if (account !== undefined && token === tokenOf(name)) {
    const { file } = account;
    response.writeHead(200, { "Content-Type": "application/json", "Content-Length": String(statSync(file).size) });
    createReadStream(file, { highWaterMark: 256 * 1024 }).pipe(response);
    return;
  }
  sendJson(response, filter.includes('"rooms":[]') ? emptyBody("s0") : bodyFor(name));
}

function bodyFor(name: string): string {
  const group = /^group(\d+)user/.exec(name)?.[1];
  if (group !== undefined) return groupBody(Number(group));
  if (name.startsWith("flood")) return floodBody(name);
  return namingBody(name, accounts.get(name)?.rooms ?? 0);
}

function park(device: Device, response: ServerResponse, timeoutMs: number): void {
  device.parked = response;
  device.timer = setTimeout(() => answer(device, response), timeoutMs);
  response.once("close", () => {
    if (device.parked !== response) return;
    device.parked = undefined;
    clearTimeout(device.timer);
  });
}

/** Stands in each event until the response is made, so that making it is no part of what is measured. */
const UNWRITTEN = "1000000000000000";

/** Sends what is pending. The time at which it is written stands in each event. */
function answer(device: Device, response: ServerResponse): void {
  clearTimeout(device.timer);
  device.parked = undefined;
  const events = device.pending;
  device.pending = [];
  const byRoom = Map.groupBy(events, ({ room }) => room);
  const rooms = [...byRoom].map(([room, own]) => {
    const unread = (device.unread.get(room) ?? 0) + own.length;
    device.unread.set(room, unread);
    const bodies = own.map(liveEvent).join(",");
    return (
      `"${room}":{"timeline":{"events":[${bodies}],"prev_batch":"p${device.next}","limited":false},` +
      `"unread_notifications":{"notification_count":${unread},"highlight_count":0}}`
    );
  });
  const joined = rooms.length === 0 ? "" : `,"rooms":{"join":{${rooms.join(",")}}}`;
  const messages = device.messages.length === 0 ? "" : `,"to_device":{"events":[${device.messages.join(",")}]}`;
  device.messages = [];
  sendStamped(response, Buffer.from(`{"next_batch":"s${device.next}"${messages}${joined}}`));
  device.next += 1;
}

function sendStamped(response: ServerResponse, body: Buffer): void {
  response.writeHead(200, { "Content-Type": "application/json", "Content-Length": String(body.length) });
  const written = String(nowUs()).padEnd(UNWRITTEN.length);
  for (let at = body.indexOf(UNWRITTEN); at >= 0; at = body.indexOf(UNWRITTEN, at)) body.write(written, at, "latin1");
  response.end(body);
}

const liveEvent = ({ label, sender, dueUs }: LiveEvent): string =>
  timelineEvent(
    { label, sender, tsMs: Date.now() },
    "m.room.message",
    `{"msgtype":"m.text","bench":{"id":"${label}","due":${dueUs},"written":${UNWRITTEN}},"body":"${PADDING}"}`,
  );

function haveMessages({ token, messages }: Extract<Order, { kind: "to device" }>): void {
  const device = deviceOf(token);
  device.messages = Array.from({ length: messages }, (_, index) => toDeviceMessage(`${token} ${index}`));
  if (device.parked !== undefined) answer(device, device.parked);
}

/** Each poll acknowledges the response before it. */
function answerFlood(device: Device, running: Flood, response: ServerResponse): void {
  if (device.pending.length > 0) running.stored += device.pending.length;
  const label = `flood ${device.name} ${device.next}`;
  const room = floodRoom(device.name, device.next % FLOOD_ROOMS);
  device.pending = [{ room, label, sender: `friend${device.name}`, dueUs: nowUs() }];
  const sent = device.pending;
  answer(device, response);
  device.pending = sent;
}

function sendJson(response: ServerResponse, body: string, status = 200): void {
  const bytes = Buffer.from(body);
  response.writeHead(status, { "Content-Type": "application/json", "Content-Length": String(bytes.length) });
  response.end(bytes);
}

async function live(order: Extract<Order, { kind: "live" }>): Promise<LiveDone> {
  const { run, audience, parties, events, intervalMs, seconds } = order;
  const happen = audience === "groups" ? happenInGroup : happenToUser;
  const stepMs = intervalMs / parties;
  const turns = Math.floor((seconds * 1000) / stepMs);
  const startedMs = performance.now();
  for (let turn = 0; turn < turns; turn += 1) {
    const waitMs = startedMs + turn * stepMs - performance.now();
    if (waitMs > 0.5) await pause(waitMs);
    happen(turn % parties, events, `${run}/${turn}`);
  }
  return { events: turns * events };
}

function happenToUser(index: number, count: number, label: string): void {
  const dueUs = nowUs();
  const name = floodUser(index);
  const first = Number(label.split("/")[1]) * count;
  const device = deviceOf(tokenOf(name));
  for (let each = 0; each < count; each += 1) {
    const room = floodRoom(name, (first + each) % FLOOD_ROOMS);
    device.pending.push({ room, label: `${label}/${each}`, sender: `friend${name}`, dueUs });
  }
  if (device.parked !== undefined) answer(device, device.parked);
}

/** The same events for all users of a group. */
function happenInGroup(group: number, count: number, label: string): void {
  const dueUs = nowUs();
  const first = Number(label.split("/")[1]);
  const events = Array.from({ length: count }, (_, index): LiveEvent => {
    const room = groupRoom(group, (first * count + index) % GROUP_ROOMS);
    return { room, label: `${label}/${index}`, sender: `friend${group}`, dueUs };
  });
  for (let index = 0; index < GROUP_USERS; index += 1) {
    const device = deviceOf(tokenOf(groupUser(group, index)));
    device.pending.push(...events);
    if (device.parked !== undefined) answer(device, device.parked);
  }
}

async function runFlood({ users, seconds }: Extract<Order, { kind: "flood" }>): Promise<FloodDone> {
  const names = Array.from({ length: users }, (_, index) => floodUser(index));
  const running: Flood = { stored: 0, users: new Set(names) };
  flood = running;
  const startedMs = performance.now();
  for (const name of names) {
    const device = deviceOf(tokenOf(name));
    if (device.parked !== undefined) answerFlood(device, running, device.parked);
  }
  await pause(seconds * 1000);
  const result = { stored: running.stored, seconds: (performance.now() - startedMs) / 1000 };
  flood = undefined;
  for (const name of names) deviceOf(tokenOf(name)).pending = [];
  return result;
}

async function obey(order: Order): Promise<unknown> {
  if (order.kind === "live") return await live(order);
  if (order.kind === "flood") return await runFlood(order);
  if (order.kind === "to device") haveMessages(order);
  else accounts.set(order.name, order);
  return undefined;
}

// Ctrl-C reaches the whole group; this process stays until its parent has stopped those that poll it.
process.on("SIGINT", () => {});
process.on("disconnect", () => {
  server.close();
  server.closeAllConnections();
  for (const { timer } of devices.values()) clearTimeout(timer);
});
process.on("message", ({ id, order }: OrderMessage) => {
  void obey(order).then((result) => process.send?.({ id, result } satisfies DoneMessage));
});
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  process.send?.({ port } satisfies ReadyMessage);
});
