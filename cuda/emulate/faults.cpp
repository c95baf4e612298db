#include "emulate/faults.h"

#include <csignal>

#include "emulate/block.h"
#include "emulate/sanitizers.h"

namespace emulate {
namespace {

struct sigaction handlers_before[NSIG];

void handle(int signal, siginfo_t* information, void* context) {
  Block* block = Block::running();
  if (block != nullptr && block->in_thread()) block->fault(signal, information->si_addr);  // does not come back
  const struct sigaction& before = handlers_before[signal];
  if ((before.sa_flags & SA_SIGINFO) != 0) {
    before.sa_sigaction(signal, information, context);
  } else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
    before.sa_handler(signal);
  } else {
    sigaction(signal, &before, nullptr);  // the instruction is tried again, and ends the process
  }
}

bool install() {
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE}) {
    struct sigaction& before = handlers_before[signal];
    sigaction(signal, nullptr, &before);
    struct sigaction handler{};
    handler.sa_sigaction = handle;
    // Not blocked meanwhile: the handler is left for good when a fiber is. On the stack that the one before wants.
    handler.sa_flags = SA_SIGINFO | SA_NODEFER | (before.sa_flags & SA_ONSTACK);
    sigemptyset(&handler.sa_mask);
    sigaction(signal, &handler, nullptr);
  }
  return true;
}

}  // namespace

void catch_faults() {
  if (EMULATE_ASAN || kThreadSanitizer) return;
  [[maybe_unused]] static const bool installed = install();
}

}  // namespace emulate
