// The log: JSON, a line an event, without secrets.
import { pino } from "pino";
import { redact, redactText } from "./redact.ts";

export const logLevels = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof logLevels)[number];

/** Values are copied and redacted; an Error (by custom under `error`) keeps its stack and causes. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Never throws for what it is given. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** The same log, with these fields on every line. */
  with(fields: LogFields): Log;
}

/** Writes each line to `write` at once, so that a line before a crash is not lost. */
export function openLog(options: {
  readonly level: LogLevel;
  readonly now: () => number;
  readonly write: (line: string) => void;
}): Log {
  const logger = pino(
    {
      level: options.level,
      base: null,
      messageKey: "message",
      formatters: { level: (level) => ({ level }) },
      timestamp: () => `,"time":"${new Date(options.now()).toISOString()}"`,
    },
    { write: options.write },
  );
  return new PinoLog((level, message, fields) => logger[level](fields, message), {});
}

/** Writes to the process's standard error. A log that nobody can be told of must not end the plugin: errors are let go. */
export function standardErrorLines(): (line: string) => void {
  const destination = pino.destination({ dest: 2, sync: true });
  destination.on("error", () => undefined);
  return (line) => void destination.write(line);
}

type WriteLine = (level: LogLevel, message: string, fields: LogFields) => void;

class PinoLog implements Log {
  readonly #write: WriteLine;
  readonly #fields: LogFields;

  constructor(write: WriteLine, fields: LogFields) {
    this.#write = write;
    this.#fields = fields;
  }

  debug(message: string, fields?: LogFields): void {
    this.#line("debug", message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.#line("info", message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.#line("warn", message, fields);
  }

  error(message: string, fields?: LogFields): void {
    this.#line("error", message, fields);
  }

  with(fields: LogFields): Log {
    return new PinoLog(this.#write, { ...this.#fields, ...fields });
  }

  #line(level: LogLevel, message: string, fields: LogFields = {}): void {
    try {
      this.#write(level, redactText(message), redact({ ...this.#fields, ...fields }) as LogFields);
    } catch (error) {
      // A getter that throws, a proxy: the line goes without its fields.
      this.#write(level, redactText(message), { unloggable: String(error) });
    }
  }
}
