// Refuses, in words, a processor that lacks what the build option `march` let the compiler use; otherwise it would be
// an illegal instruction, somewhere. This file is built for plain x86-64 and runs before any other initializer, which
// is the one reason in this project for code that runs by itself.
#include <unistd.h>

#include <cstring>

namespace {

constexpr int kExitEnvironment = 4;

void say(const char* text) {
  if (write(STDERR_FILENO, text, std::strlen(text)) < 0) return;
}

__attribute__((constructor(101))) void check_cpu() {
  __builtin_cpu_init();
  bool lacks = false;
  const auto need = [&](bool has, const char* name) {
    if (has) return;
    say(lacks ? ", " : "weir: this processor lacks ");
    say(name);
    lacks = true;
  };
  need(__builtin_cpu_supports("sse4.2"), "SSE4.2");
#if WEIR_NEEDS_AVX2
  need(__builtin_cpu_supports("avx2"), "AVX2");
  need(__builtin_cpu_supports("bmi2"), "BMI2");
  need(__builtin_cpu_supports("fma"), "FMA");
#endif
#if WEIR_NEEDS_AVX512
  need(__builtin_cpu_supports("avx512f"), "AVX-512F");
  need(__builtin_cpu_supports("avx512bw"), "AVX-512BW");
  need(__builtin_cpu_supports("avx512vl"), "AVX-512VL");
#endif
  if (!lacks) return;
  say(", which weir was built for (-march=" WEIR_MARCH "); build it with `meson setup -Dmarch=x86-64-v2 build`\n");
  _exit(kExitEnvironment);
}

}  // namespace
