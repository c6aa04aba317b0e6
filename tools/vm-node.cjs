// Every Node in an emulated machine begins with this: see NODE_OPTIONS in tools/vm.
// Now and then V8 ends a process there when it is about to compile a function of WebAssembly anew: "Check failed:
// it->second.Size() > offset" under Runtime_WasmTriggerTierUp, or a SIGSEGV. Node strips types by such code and undici
// reads replies by it, so that it meets whatever starts. It was never seen on a machine that is not emulated.
const v8 = require("node:v8");
// All three: a flag set this late does not bring those that it implies at a start.
for (const flag of ["--liftoff-only", "--no-wasm-tier-up", "--no-wasm-dynamic-tiering"]) v8.setFlagsFromString(flag);
