import type { JsonObject } from "./json.ts";

/** An answer other than 200, thrown by whatever finds the reason for it. */
export class MatrixError extends Error {
  override readonly name = "MatrixError";
  readonly status: number;
  readonly body: JsonObject;

  constructor(status: number, errcode: string, error: string, more: JsonObject = {}) {
    super(`${status} ${errcode}: ${error}`);
    this.status = status;
    this.body = { errcode, error, ...more };
  }
}

export const forbidden = (error: string) => new MatrixError(403, "M_FORBIDDEN", error);
/** Whatever is done to a banned user but to lift the ban. */
export const banned = (deed: string) => new MatrixError(403, "M_BAD_STATE", `Cannot ${deed} user who was banned`);
export const notFound = (error: string) => new MatrixError(404, "M_NOT_FOUND", error);
