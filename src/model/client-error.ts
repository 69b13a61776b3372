/** Error codes that Slidecar itself answers with (Matrix specification "Standard error response", MSC4186). */
export type ErrCode =
  | "M_BAD_JSON"
  | "M_FORBIDDEN"
  | "M_INVALID_PARAM"
  | "M_LIMIT_EXCEEDED"
  | "M_MISSING_PARAM"
  | "M_MISSING_TOKEN"
  | "M_NOT_FOUND"
  | "M_NOT_JSON"
  | "M_TOO_LARGE"
  | "M_UNKNOWN"
  | "M_UNKNOWN_POS"
  | "M_UNKNOWN_TOKEN"
  | "M_UNRECOGNIZED";

/** The client asked for something that cannot be answered. The message names the field and is shown to the client. */
export class ClientError extends Error {
  override readonly name = "ClientError";
  readonly errcode: ErrCode;

  constructor(errcode: ErrCode, message: string) {
    super(message);
    this.errcode = errcode;
  }
}
