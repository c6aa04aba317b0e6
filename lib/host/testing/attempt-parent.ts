// A parent for tests to kill: it starts an attempt whose program has a child, and one that left its session.
import { openAttempt } from "../attempts.ts";
import { openProcesses } from "../processes.linux.ts";

const attempt = await openAttempt(process.argv[2] ?? "");
const script = 'sleep 1000 & a=$!; setsid sleep 1000 & b=$!; echo "child $$ $a $b"; trap "" TERM; wait; wait';
await openProcesses().run({
  program: "/bin/sh",
  args: ["-c", script],
  env: { PATH: "/usr/bin:/bin" },
  attempt,
  onStdout: (chunk) => {
    process.stdout.write(chunk);
  },
});
