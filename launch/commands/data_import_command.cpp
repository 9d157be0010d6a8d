#include <memory>

#include "io/import/import_cifar10.h"
#include "io/import/import_mnist.h"
#include "io/import/import_text.h"
#include "launch/commands/data.h"
#include "src/core/error.h"
#include "src/core/log.h"

namespace lockstep {

namespace {

struct ImportArguments {
  std::string source, out;
  bool force = false;
};

/// The arguments that all formats have, but for SOURCE.
void add_import_arguments(Command& format, ImportArguments& arguments) {
  format.add("OUT", arguments.out, "The HDF5 file to write").required();
  format.add_flag("--force", arguments.force, "Replace OUT if it exists");
}

void add_import_mnist(Command import, Program& program) {
  Command mnist = import.add_command("mnist", "MNIST's idx files, or another data set in this format");
  auto arguments = std::make_shared<ImportArguments>();
  mnist.add("FOLDER", arguments->source, "Folder of the four idx files, plain or gzipped").required();
  add_import_arguments(mnist, *arguments);
  mnist.action(program, [&program, arguments] {
    check_result(arguments->out, arguments->force);
    with_progress(program, "import " + arguments->source,
                  [&](const NoteBytes& work) { import_mnist(arguments->source, arguments->out, work); });
    log_info("wrote {}", arguments->out);
    return 0;
  });
}

void add_import_cifar10(Command import, Program& program) {
  Command cifar10 = import.add_command("cifar10", "CIFAR-10's binary files");
  auto arguments = std::make_shared<ImportArguments>();
  cifar10.add("SOURCE", arguments->source, "Folder of data_batch_*.bin and test_batch.bin, or one .bin file")
      .required();
  add_import_arguments(cifar10, *arguments);
  cifar10.action(program, [&program, arguments] {
    check_result(arguments->out, arguments->force);
    ImportedSamples imported;
    with_progress(program, "import " + arguments->source, [&](const NoteBytes& work) {
      imported = import_cifar10(arguments->source, arguments->out, work);
    });
    log_info("wrote {}: {} training and {} test images", arguments->out, imported.train, imported.test);
    return 0;
  });
}

void add_import_text(Command import, Program& program) {
  Command text = import.add_command("text", "A text file, as one sequence of token ids");
  struct Arguments : ImportArguments {
    ImportTextOptions options;
  };
  auto arguments = std::make_shared<Arguments>();
  text.add("SOURCE", arguments->source, "The text file").required();
  add_import_arguments(text, *arguments);
  text.add_flag("--characters", arguments->options.characters,
                "Number the characters that occur (UTF-8) instead of using bytes");
  text.add("--test", arguments->options.test, "Share of the text, its end, held out as /test; default: 0.1");
  text.action(program, [&program, arguments] {
    if (!(arguments->options.test >= 0 && arguments->options.test < 1))
      fail(ExitCode::usage, "--test {}: must be at least 0 and below 1.", arguments->options.test);
    check_result(arguments->out, arguments->force);
    ImportedText imported;
    with_progress(program, "import " + arguments->source, [&](const NoteBytes& work) {
      imported = import_text(arguments->source, arguments->out, arguments->options, work);
    });
    log_info("wrote {}: {} training and {} test tokens, {} different ids", arguments->out, imported.train,
             imported.test, imported.vocabulary);
    return 0;
  });
}

}  // namespace

void add_import(Command data, Program& program) {
  Command import = data.add_group("import", "Convert a data set to HDF5");
  add_import_images(import, program);
  add_import_arrays(import, program);
  add_import_mnist(import, program);
  add_import_cifar10(import, program);
  add_import_text(import, program);
}

}  // namespace lockstep
