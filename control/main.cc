// weir: the process around the command line.
#include <cerrno>
#include <csignal>
#include <iostream>

#include "control/cli.h"

int main(int argc, char** argv) {
  // A reader that went away (`weir show flows | head`) is no reason to die; writes then fail, and that is all.
  std::signal(SIGPIPE, SIG_IGN);
  const int exit_code = weir::control::cli_main(argc, argv, std::cout, std::cerr);
  errno = 0;
  std::cout.flush();
  if (std::cout || errno == EPIPE || exit_code != weir::control::kExitDone) return exit_code;
  std::cerr << "weir: cannot write the output\n";
  return weir::control::kExitEnvironment;
}
