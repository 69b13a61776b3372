/** The homeserver refuses the client's token; the client is told so in the homeserver's own words. */
export class TokenRefusedError extends Error {
  override readonly name = "TokenRefusedError";
  readonly status: number;
  readonly errcode: string;
  /** The homeserver's answer, as it came. */
  readonly body: Buffer;

  constructor(answer: { readonly status: number; readonly errcode: string; readonly body: Buffer }) {
    super(`The homeserver refuses the token: ${answer.status} ${answer.errcode}`);
    this.status = answer.status;
    this.errcode = answer.errcode;
    this.body = answer.body;
  }
}
