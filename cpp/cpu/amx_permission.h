// The operating system's permission to use AMX.
#pragma once

namespace fles::cpu {

// Asks for it for the whole process; false where it is not given. Linux keeps the registers of AMX, which are large,
// for a process that asked for them alone (the kernel's Documentation/arch/x86/xstate.rst).
bool request_amx();

}  // namespace fles::cpu
