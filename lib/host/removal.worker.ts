// The thread that empties the trash: its calls wait for the disk as long as that takes.
import { Directory, toName } from "./directory.ts";
import { serveJobs } from "./job-thread.ts";
import { removeTreeNow } from "./remove-tree.ts";
import type { Removal } from "./remover.ts";

serveJobs(({ parent, name }: Removal) => {
  using directory = Directory.open(parent);
  removeTreeNow(directory, toName(name));
});
