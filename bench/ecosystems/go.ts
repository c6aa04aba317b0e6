// Go: the modules and the build cache.
import { rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { type Ecosystem, run } from "./ecosystem.ts";

const before = {
  "github.com/gin-gonic/gin": "v1.9.1",
  "github.com/prometheus/client_golang": "v1.17.0",
  "github.com/spf13/cobra": "v1.7.0",
  "go.uber.org/zap": "v1.26.0",
  "google.golang.org/grpc": "v1.58.3",
};
const after = {
  ...before,
  "github.com/spf13/cobra": "v1.8.0",
  "github.com/prometheus/client_golang": "v1.18.0",
};

const CODE = `package main

import (
	"fmt"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"google.golang.org/grpc"
)

func main() {
	fmt.Println(gin.Version, grpc.Version, prometheus.NewRegistry() != nil, zap.NewNop() != nil, (&cobra.Command{}).Name())
}
`;

const environment = (cache: string) => ({
  GOMODCACHE: path.join(cache, "mod"),
  GOCACHE: path.join(cache, "build"),
  GOTOOLCHAIN: "local",
  CGO_ENABLED: "0",
});

export const go: Ecosystem = {
  id: "E3",
  name: "Go, modules and build cache",
  program: "go",
  outputs: ["bench"],
  write: async (project, scratch, updated) => {
    const requires = Object.entries(updated ? after : before).map(
      ([name, version]) => `\t${name} ${version}`,
    );
    await writeFile(path.join(project, "main.go"), CODE);
    await writeFile(
      path.join(project, "go.mod"),
      `module bench\n\ngo 1.21\n\nrequire (\n${requires.join("\n")}\n)\n`,
    );
    await rm(path.join(project, "go.sum"), { force: true });
    await run(project, ["go", "mod", "tidy"], environment(scratch));
  },
  build: async (project, cache) => {
    await run(project, ["go", "build", "-o", "bench", "."], environment(cache));
    await run(project, ["./bench"]);
  },
  // From an hour on, `go build` gives all that it uses the time of now, so that it can trim what nobody used for days.
  age: async (cache) => {
    await run(cache, ["find", "build", "-type", "f", "-exec", "touch", "--date=2 hours ago", "{}", "+"]);
  },
  verify: async (project, cache) => {
    await run(project, ["go", "mod", "verify"], environment(cache));
  },
};

export const goExact: Ecosystem = {
  ...go,
  name: "Go, the same with `compare: exact`",
  parameters: { compare: "exact" },
};
