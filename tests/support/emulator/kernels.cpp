#include "tests/support/emulator/kernels.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <utility>

namespace emulator {

namespace {

std::set<std::string> launched;

/// The symbols of the running program, where its file is mapped. Kernels are mostly local symbols, which the
/// loader does not keep. There are hundreds of thousands: none is copied.
struct Symbols {
  std::span<const Elf64_Sym> all;
  const char* names = nullptr;

  const char* name(const Elf64_Sym& symbol) const { return names + symbol.st_name; }
};

Symbols map_symbols() {
  const int file = open("/proc/self/exe", O_RDONLY);
  struct stat info {};
  if (file < 0 || fstat(file, &info) != 0) return {};
  void* const memory = mmap(nullptr, static_cast<size_t>(info.st_size), PROT_READ, MAP_PRIVATE, file, 0);
  close(file);
  if (memory == MAP_FAILED) return {};
  const char* const begin = static_cast<const char*>(memory);
  const auto* header = reinterpret_cast<const Elf64_Ehdr*>(begin);
  const std::span sections(reinterpret_cast<const Elf64_Shdr*>(begin + header->e_shoff), header->e_shnum);
  for (const Elf64_Shdr& section : sections)
    if (section.sh_type == SHT_SYMTAB)
      return {{reinterpret_cast<const Elf64_Sym*>(begin + section.sh_offset),
               section.sh_size / sizeof(Elf64_Sym)},
              begin + sections[section.sh_link].sh_offset};
  return {};
}

std::string demangle(const std::string& name) {
  int status = 0;
  char* const demangled = abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status);
  const std::string result = status == 0 ? demangled : name;
  std::free(demangled);
  return result.substr(0, result.rfind('('));
}

Kernel look_up(const void* address) {
  static const Symbols symbols = map_symbols();
  Kernel kernel{"?", {}};
  Dl_info info{};
  if (dladdr(address, &info) == 0) return kernel;
  const auto base = reinterpret_cast<uintptr_t>(info.dli_fbase);
  const uintptr_t place = reinterpret_cast<uintptr_t>(address) - base;
  const auto is_kernel = [&](const Elf64_Sym& symbol) {
    return symbol.st_value == place && std::strncmp(symbols.name(symbol), "_Z", 2) == 0;
  };
  const auto found = std::find_if(symbols.all.begin(), symbols.all.end(), is_kernel);
  if (found == symbols.all.end()) return kernel;
  const char* const mangled = symbols.name(*found);
  kernel.name = demangle(mangled);
  // The C++ ABI's name of a static variable in a function: _ZZ, the function, E, the variable.
  const std::string prefix = std::string("_ZZ") + (mangled + 2) + "E";
  for (const Elf64_Sym& symbol : symbols.all)
    if (ELF64_ST_TYPE(symbol.st_info) == STT_OBJECT &&  // and not a lambda's function
        std::strncmp(symbols.name(symbol), prefix.c_str(), prefix.size()) == 0)
      kernel.shared.emplace_back(reinterpret_cast<std::byte*>(symbol.st_value + base), symbol.st_size);
  return kernel;
}

}  // namespace

const Kernel& find_kernel(const void* address) {
  static std::map<const void*, Kernel> known;
  const auto found = known.find(address);
  return found != known.end() ? found->second : known.emplace(address, look_up(address)).first->second;
}

void note_launch(const std::string& kernel) { launched.insert(kernel); }

std::set<std::string> take_launched_kernels() { return std::exchange(launched, {}); }

}  // namespace emulator
