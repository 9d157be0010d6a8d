#include "launch/config/config.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "io/dataset/meant_path.h"
#include "launch/config/familiar_keys.h"
#include "launch/config/model_keys.h"
#include "launch/config/option_table.h"
#include "launch/report/report.h"
#include "models/file/toml_advice.h"

namespace lockstep {

namespace {

/// The origin of a table of values.
struct Origin {
  std::string name;    ///< "mnist.toml", or "--set" (then lines mean nothing)
  std::string folder;  ///< the base of relative paths
  std::string raw;     ///< the text of a --set
};

const Option* find_option(const std::string& key) {
  const auto& table = option_table();
  const auto at = std::find_if(table.begin(), table.end(), [&](const Option& o) { return o.key == key; });
  return at == table.end() ? nullptr : &*at;
}

bool is_section(const std::string& key) {
  return std::any_of(option_table().begin(), option_table().end(),
                     [&](const Option& o) { return o.key.starts_with(key + "."); });
}

[[noreturn]] void fail_unknown(const std::string& where, const std::string& key, const toml::node& node) {
  if (node.is_table() && key.find('.') == std::string::npos) {
    if (const std::string section = meant_section(key); !section.empty())
      fail(ExitCode::usage, "{}unknown section [{}]. Did you mean [{}]?", where, key, section);
    fail(ExitCode::usage, "{}unknown section [{}]. lockstep train --help-config lists all sections.", where,
         key);
  }
  if (const std::string meant = meant_key(key); !meant.empty())
    fail(ExitCode::usage, "{}unknown key '{}'. Did you mean '{}'?", where, key, meant);
  fail(ExitCode::usage, "{}unknown key '{}'. lockstep train --help-config lists all keys.", where, key);
}

/// Fills a Config from a file and any number of --set.
class Reader {
 public:
  void read_table(const toml::table& table, const std::string& prefix, const Origin& origin) {
    for (const auto& [name, node] : table) {
      const std::string key = prefix + std::string(name.str());
      const std::string where =
          origin.name == "--set" ? "--set " : fmt::format("{}:{}: ", origin.name, node.source().begin.line);
      const GivenValue given{node, key, where, origin.folder, origin.raw};
      if (const Option* option = find_option(key)) {
        option->set(config_, given);
      } else if (prefix == "model.") {
        model_keys_[std::string(name.str())] = {read_model_value(given), where};
      } else if (!is_section(key)) {
        fail_unknown(where, key, node);
      } else if (!node.is_table()) {
        given.reject("is a section: write [{}] and its keys below, or {}.KEY = VALUE", key, key);
      } else {
        refuse_two_models(key, *node.as_table(), given);
        read_table(*node.as_table(), key + ".", origin);
      }
    }
  }

  void read_text(const std::string& text, const std::string& name, const std::string& folder) {
    try {
      read_table(toml::parse(text, name), "", {name, folder, ""});
    } catch (const toml::parse_error& e) {
      fail(ExitCode::usage, "{}:{}: {}{}", name, e.source().begin.line, e.description(),
           toml_advice(text, e.source().begin.line));
    }
  }

  void read_set(const std::string& set) {
    const size_t equals = set.find('=');
    const std::string key = set.substr(0, equals);
    const bool plain = !key.empty() && std::all_of(key.begin(), key.end(), [](unsigned char c) {
      return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.';
    });
    if (equals == std::string::npos || !plain)
      fail(ExitCode::usage, "--set {}: write --set SECTION.KEY=VALUE, for example --set train.epochs=3", set);
    const std::string raw = set.substr(equals + 1);
    toml::table table;
    try {
      // With a line break, one --set could contain several keys, so such a value can only be text.
      if (raw.find_first_of("\r\n") != std::string::npos) throw std::invalid_argument("line break");
      table = toml::parse(key + " = " + raw);
    } catch (const std::exception&) {
      table = parse_bare(key, set, raw);
    }
    read_table(table, "", {"--set", "", raw});
  }

  Config finish() {
    set_model_keys(config_.model, model_keys_);
    return std::move(config_);
  }

 private:
  /// Both set the model, and a TOML table does not preserve their order.
  static void refuse_two_models(const std::string& key, const toml::table& table, const GivenValue& given) {
    if (key == "model" && table["name"].value_or<std::string>("") != "" &&
        table["file"].value_or<std::string>("") != "")
      given.reject("has both name and file: keep file for a model file, or name for a built-in model");
  }

  static toml::table parse_bare(const std::string& key, const std::string& set, const std::string& raw) {
    try {
      return toml::parse(key + " = " + toml_text(raw));
    } catch (const toml::parse_error&) {
      fail(ExitCode::usage, "--set {}: '{}' is not the name of a key", set, key);
    }
  }

  Config config_;
  std::map<std::string, GivenModelKey> model_keys_;
};

/// Every key and its value as TOML, in the order of the option table; the model's own keys follow model.file.
std::vector<std::pair<std::string, std::string>> values_in_force(const Config& config) {
  std::vector<std::pair<std::string, std::string>> values;
  for (const Option& option : option_table()) {
    std::string value = option.get(config);
    // Each of these two overrides the other when read back, so only the effective one is written.
    if (option.key == "model.name" && config.model.name.empty()) value.clear();
    if (option.key == "model.file" && config.model.file.empty()) value.clear();
    if (option.key == "model.init_from" && config.init_from.empty()) value.clear();
    if (option.key == "run.dir" && config.run.dir.empty()) value.clear();
    values.emplace_back(option.key, value);
    if (option.key == "model.file") {
      for (const auto& [name, text] : model_key_texts(config.model))
        values.emplace_back("model." + name, text);
    }
  }
  return values;
}

bool raised(const std::string& key, const Config& before, const Config& now) {
  if (key == "train.epochs") return now.train.epochs >= before.train.epochs;
  return key == "train.steps" && before.train.steps > 0 && now.train.steps >= before.train.steps;
}

}  // namespace

Config load_config(const std::string& path, std::span<const std::string> sets) {
  if (path.empty()) return parse_config("", "", "", sets);
  std::error_code status;
  if (std::filesystem::is_directory(path, status))
    fail(ExitCode::usage, "{} is a folder, not a config file", path);
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf() || file.peek() == std::ifstream::traits_type::eof())) {
    const int error = errno;
    const std::string similar = error == ENOENT ? similar_file(path) : "";
    fail(ExitCode::usage, "cannot read the config file {}: {}{}", path, std::strerror(error),
         similar.empty() ? "" : fmt::format(". Did you mean '{}'?", similar));
  }
  return parse_config(text.str(), path, std::filesystem::path(path).parent_path().string(), sets);
}

Config parse_config(const std::string& text, const std::string& name, const std::string& folder,
                    std::span<const std::string> sets) {
  Reader reader;
  reader.read_text(text, name, folder);
  for (const std::string& set : sets) reader.read_set(set);
  return reader.finish();
}

std::string echo_config(const Config& config) {
  std::string out, section;
  for (const auto& [key, value] : values_in_force(config)) {
    const size_t dot = key.find('.');
    if (key.substr(0, dot) != section) {
      section = key.substr(0, dot);
      out += fmt::format("{}[{}]\n", out.empty() ? "" : "\n", section);
    }
    const std::string name = key.substr(dot + 1);
    out += value.empty() ? fmt::format("# {} is not set\n", name) : fmt::format("{} = {}\n", name, value);
  }
  return out;
}

std::string config_for_another_run(Config config) {
  config.run.dir.clear();
  return echo_config(config);
}

std::vector<std::string> changed_keys(const Config& before, const Config& now) {
  std::map<std::string, std::string> old_values;
  for (const auto& [key, value] : values_in_force(before)) old_values[key] = value;
  std::map<std::string, std::string> new_values;
  for (const auto& [key, value] : values_in_force(now)) new_values[key] = value;
  std::map<std::string, std::string> all = old_values;
  all.insert(new_values.begin(), new_values.end());

  std::vector<std::string> changed;
  for (const auto& [key, unused] : all) {
    const Option* option = find_option(key);
    if (old_values[key] == new_values[key] || raised(key, before, now)) continue;
    if (option != nullptr && option->free_on_resume) continue;
    const auto shown = [](const std::string& value) { return value.empty() ? "not set" : value; };
    changed.push_back(fmt::format("{} was {}, is {}", key, shown(old_values[key]), shown(new_values[key])));
  }
  return changed;
}

ModelFactory model_factory(const Config& config) {
  return [model = config.model, seed = config.run.seed](const Value& input, const NetworkOutput& output) {
    return build_model(model, input, output, seed);
  };
}

std::string config_help() {
  const Config standard;
  std::string out, section;
  for (const Option& option : option_table()) {
    const size_t dot = option.key.find('.');
    if (option.key.substr(0, dot) != section) {
      section = option.key.substr(0, dot);
      out += fmt::format("{}[{}]\n", out.empty() ? "" : "\n", section);
    }
    const std::string value = option.get(standard);
    const bool unset = value.empty() || value == "\"\"";
    out += fmt::format("  {}{}\n", option.key.substr(dot + 1), unset ? "" : " = " + value);
    out += wrapped(fmt::format("{}: {}", option.type, option.help), 6);
    for (const std::string& line : option.details) out += wrapped(line, 8);
  }
  out += "\nThe model's own keys also go into [model]: lockstep model list NAME shows them.\n";
  return out;
}

}  // namespace lockstep
