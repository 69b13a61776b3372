import type { IncomingHttpHeaders } from "node:http";
import type { FaultSubject } from "./faults.ts";
import type { JsonObject } from "./json.ts";

/** Requests kept for tests to look at. More cost memory in long runs; fewer lose the start of a test. */
const KEPT_REQUESTS = 5_000;

export interface LoggedRequest {
  readonly method: string;
  readonly path: string;
  readonly query: JsonObject;
  readonly userId: string | undefined;
  readonly deviceId: string | undefined;
  readonly userAgent: string | undefined;
  readonly forwardedFor: string | undefined;
  readonly atMs: number;
  status: number | undefined;
  isOpen: boolean;
}

export interface OpenEntry {
  answered(status: number): void;
  /** Its answer is sent, or its client is gone. */
  end(): void;
}

export interface RequestLog {
  begin(subject: FaultSubject, url: URL, headers: IncomingHttpHeaders): OpenEntry;
  all(): readonly LoggedRequest[];
  clear(): void;
}

export function createRequestLog(nowMs: () => number): RequestLog {
  let requests: LoggedRequest[] = [];
  return {
    all: () => requests,
    clear: () => {
      requests = requests.filter(({ isOpen }) => isOpen);
    },
    begin: (subject, url, headers) => {
      const request: LoggedRequest = {
        method: subject.method,
        path: subject.path,
        query: Object.fromEntries(url.searchParams),
        userId: subject.userId,
        deviceId: subject.deviceId,
        userAgent: headers["user-agent"],
        forwardedFor: headers["x-forwarded-for"]?.toString(),
        atMs: nowMs(),
        status: undefined,
        isOpen: true,
      };
      requests.push(request);
      if (requests.length > KEPT_REQUESTS) requests.shift();
      return {
        answered: (status) => {
          request.status = status;
        },
        end: () => {
          request.isOpen = false;
        },
      };
    },
  };
}
