import { ClientError } from "../../model/client-error.ts";

/** A part of a request body that was not looked at yet. What is wrong with it is said with its place in the body. */
export class WireValue {
  readonly #value: unknown;
  /** What it is a part of, and which: a member, or an item. undefined: it is the body itself. */
  readonly #within: WireValue | undefined;
  readonly #key: string | number;

  constructor(value: unknown, within?: WireValue, key: string | number = "") {
    this.#value = value;
    this.#within = within;
    this.#key = key;
  }

  get isMissing(): boolean {
    return this.#value === undefined;
  }

  /** Clients write `null` for what they leave out. */
  get isNothing(): boolean {
    return this.#value === undefined || this.#value === null;
  }

  get isArray(): boolean {
    return Array.isArray(this.#value);
  }

  /** Undefined if it is nothing, else what `read` makes of it. */
  optional<Read>(read: (value: WireValue) => Read): Read | undefined {
    return this.isNothing ? undefined : read(this);
  }

  /** A member of this object. */
  at(key: string): WireValue {
    const object = this.#object();
    return new WireValue(Object.hasOwn(object, key) ? object[key] : undefined, this, key);
  }

  entries(): readonly (readonly [string, WireValue])[] {
    return Object.entries(this.#object()).map(([key, value]) => [key, new WireValue(value, this, key)] as const);
  }

  items(): readonly WireValue[] {
    if (!Array.isArray(this.#value)) throw this.badJson("must be an array");
    return this.#value.map((item, index) => new WireValue(item, this, index));
  }

  /** The value if it is one of these, else nothing. */
  only<Type>(isType: (value: unknown) => value is Type): readonly Type[] {
    return isType(this.#value) ? [this.#value] : [];
  }

  text(): string {
    if (typeof this.#value !== "string") throw this.badJson("must be a string");
    return this.#value;
  }

  boolean(): boolean {
    if (typeof this.#value !== "boolean") throw this.badJson("must be true or false");
    return this.#value;
  }

  /** A whole number from 0 on. Clients write the largest of their language for "as much as there is". */
  count(): number {
    if (!Number.isInteger(this.#value)) throw this.badJson("must be an integer");
    const value = Number(this.#value);
    if (value < 0) throw this.invalid("must not be negative");
    return Math.min(value, Number.MAX_SAFE_INTEGER);
  }

  /** The value as it was written, but for spaces and the like. */
  json(): string {
    return JSON.stringify(this.#value) ?? "";
  }

  /** The value does not have the form that is documented. */
  badJson(claim: string): ClientError {
    return new ClientError("M_BAD_JSON", `${this.#name} ${claim}`);
  }

  /** The form is right, and the value is out of bounds. */
  invalid(claim: string): ClientError {
    return new ClientError("M_INVALID_PARAM", `${this.#name} ${claim}`);
  }

  get #name(): string {
    return this.#path() || "The body";
  }

  /** For example `lists.all.ranges[0]`. Put together only when something is wrong: requests have hundreds of parts. */
  #path(): string {
    if (this.#within === undefined) return "";
    const path = this.#within.#path();
    if (typeof this.#key === "number") return `${path}[${this.#key}]`;
    const shown = this.#key.length > MAX_SHOWN_KEY ? `${this.#key.slice(0, MAX_SHOWN_KEY)}…` : this.#key;
    return path === "" ? shown : `${path}.${shown}`;
  }

  #object(): Record<string, unknown> {
    if (!isObject(this.#value)) throw this.badJson("must be an object");
    return this.#value;
  }
}

/** Characters of a client's key that an error message repeats. */
const MAX_SHOWN_KEY = 64;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
