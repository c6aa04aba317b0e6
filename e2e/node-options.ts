// How Node is started where a machine is emulated.

/**
 * Now and then V8 ends a process there, when it is about to compile a function of WebAssembly anew and does not find the
 * code that asked for it ("Check failed: it->second.Size() > offset" under Runtime_WasmTriggerTierUp). Node strips types by
 * such code, so that it meets whatever starts. It was never seen on a machine that is not emulated.
 */
export const nodeOptions: readonly string[] =
  Number(process.env["LARDER_VM_SLOWNESS"] ?? 1) > 1 ? ["--liftoff-only"] : [];
