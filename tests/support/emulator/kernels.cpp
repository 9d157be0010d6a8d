#include "tests/support/emulator/kernels.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <map>
#include <utility>

namespace emulator {

namespace {

std::set<std::string> launched;

struct Symbol {
  std::string name;
  uintptr_t address;  ///< in the file
  size_t bytes;
  bool is_variable;
};

/// The functions and variables of the running program. Kernels are mostly local symbols, which the loader
/// does not keep, so they are read from the program's own file.
std::vector<Symbol> read_symbols() {
  std::vector<Symbol> symbols;
  const int file = open("/proc/self/exe", O_RDONLY);
  struct stat info {};
  if (file < 0 || fstat(file, &info) != 0) return symbols;
  const auto size = static_cast<size_t>(info.st_size);
  void* const memory = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
  close(file);
  if (memory == MAP_FAILED) return symbols;
  const char* const begin = static_cast<const char*>(memory);
  const auto* header = reinterpret_cast<const Elf64_Ehdr*>(begin);
  const auto* sections = reinterpret_cast<const Elf64_Shdr*>(begin + header->e_shoff);
  for (unsigned i = 0; i < header->e_shnum; ++i) {
    if (sections[i].sh_type != SHT_SYMTAB) continue;
    const char* const names = begin + sections[sections[i].sh_link].sh_offset;
    const auto* symbol = reinterpret_cast<const Elf64_Sym*>(begin + sections[i].sh_offset);
    for (size_t n = sections[i].sh_size / sizeof *symbol; n > 0; --n, ++symbol)
      symbols.push_back({names + symbol->st_name, symbol->st_value, symbol->st_size,
                         ELF64_ST_TYPE(symbol->st_info) == STT_OBJECT});
  }
  munmap(memory, size);
  return symbols;
}

std::string demangle(const std::string& name) {
  int status = 0;
  char* const demangled = abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status);
  const std::string result = status == 0 ? demangled : name;
  std::free(demangled);
  return result.substr(0, result.rfind('('));
}

Kernel look_up(const void* address) {
  static const std::vector<Symbol> symbols = read_symbols();
  Kernel kernel{"?", {}};
  Dl_info info{};
  if (dladdr(address, &info) == 0) return kernel;
  const auto base = reinterpret_cast<uintptr_t>(info.dli_fbase);
  std::string mangled;
  for (const Symbol& symbol : symbols)
    if (symbol.address + base == reinterpret_cast<uintptr_t>(address) && symbol.name.starts_with("_Z"))
      mangled = symbol.name;
  if (mangled.empty()) return kernel;
  kernel.name = demangle(mangled);
  // The C++ ABI's name of a static variable in a function: _ZZ, the function, E, the variable.
  const std::string prefix = "_ZZ" + mangled.substr(2) + "E";
  for (const Symbol& symbol : symbols)
    if (symbol.is_variable && symbol.name.starts_with(prefix))  // and not a lambda's function
      kernel.shared.emplace_back(reinterpret_cast<std::byte*>(symbol.address + base), symbol.bytes);
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
