// Which bytes of a blob are asked for in which request.

/** Bytes from `start` up to, not including, `end`. */
export type Range = { readonly start: number; readonly end: number };
