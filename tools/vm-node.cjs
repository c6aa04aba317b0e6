// Every Node in an emulated machine begins with this: see NODE_OPTIONS in tools/vm.
// Now and then V8 ends a process there when it is about to compile a function of WebAssembly anew: "Check failed:
// it->second.Size() > offset" under Runtime_WasmTriggerTierUp, or a SIGSEGV. Node strips types by such code, so that it
// meets whatever starts. It was never seen on a machine that is not emulated.
require("node:v8").setFlagsFromString("--liftoff-only");
