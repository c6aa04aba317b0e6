// How many entries a tree has, told by its directories alone.
import { Descent } from "../host/descent.ts";
import { Directory, type Name } from "../host/directory.ts";

/** Without the root. */
export function countEntries(tree: string): number {
  using descent = new Descent(Directory.open(tree));
  let count = 0;
  const look = (): Name[] => {
    const { names, directories } = descent.current.census();
    count += names.length;
    return directories;
  };
  const ahead = [look()];
  while (ahead.length > 0) {
    const name = ahead.at(-1)?.pop();
    if (name !== undefined) {
      descent.descend(name);
      ahead.push(look());
      continue;
    }
    ahead.pop();
    if (ahead.length > 0) descent.ascend();
  }
  return count;
}
