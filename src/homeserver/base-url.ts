/** Where the homeserver is: what to connect to, and what stands before every path. */
export interface BaseUrl {
  readonly origin: string;
  /** Without a slash at its end; mostly empty. */
  readonly prefix: string;
}

export function parseBaseUrl(text: string): BaseUrl {
  const { origin, pathname } = new URL(text);
  return { origin, prefix: pathname.replace(/\/+$/, "") };
}
