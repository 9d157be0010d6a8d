#include "launch/report/order_report.h"

#include "io/dataset/order/choose_order.h"
#include "io/dataset/order/order_quality.h"
#include "io/hdf5/hdf5.h"
#include "launch/report/report.h"

namespace lockstep {

Json order_report(const OrderReportOptions& options) {
  constexpr uint64_t kSeed = 1;
  DataSource source = parse_data_source(options.file + ":" + options.group, "");
  if (!hdf5::File::open(options.file).contains(source.y)) source.y.clear();
  const auto dataset = open_dataset(source, {.memory_budget = options.memory_budget});
  const int64_t window = options.window_bytes > 0 ? options.window_bytes : options.memory_budget / 2;
  const Order automatic = choose_order(Shuffle::automatic, *dataset, options.global_batch, window);
  Json orders = Json::array();
  const std::pair<const char*, Shuffle> choices[] = {{"full", Shuffle::full},
                                                     {"window", Shuffle::window},
                                                     {"local", Shuffle::local},
                                                     {"chunk", Shuffle::chunk},
                                                     {"false", Shuffle::off}};
  for (const auto& [name, shuffle] : choices) {
    const Order order = choose_order(shuffle, *dataset, options.global_batch, window);
    const OrderQuality quality = measure_order(order, *dataset, options.global_batch, kSeed);
    Json entry = {{"shuffle", name},
                  {"automatic",
                   order.kind == automatic.kind && (shuffle == Shuffle::full || shuffle == Shuffle::window)},
                  {"read_amplification", read_amplification(order, *dataset)},
                  {"distance", quality.distance}};
    if (order.kind == Order::Kind::windows) {
      entry["runs_mixed"] = order.windows.lanes * order.windows.runs_mixed;
      entry["samples_of_run"] = order.windows.run;
    }
    if (quality.label_variance > 0) entry["label_variance"] = quality.label_variance;
    orders.push_back(std::move(entry));
  }
  return {{"data", dataset->describe()},
          {"samples", dataset->size()},
          {"global_batch", options.global_batch},
          {"window_bytes", window},
          {"orders", std::move(orders)}};
}

void print_order_report(const Json& report) {
  std::vector<std::vector<std::string>> rows{{"data.shuffle", "mixes", "decodes", "distance", "labels"}};
  for (const Json& order : report.at("orders")) {
    const bool is_automatic = order.at("automatic");
    const auto shuffle = order.at("shuffle").get<std::string>();
    rows.push_back(
        {shuffle + (is_automatic ? " (auto)" : ""),
         order.contains("runs_mixed") ? fmt::format("{} x {}", order.at("runs_mixed").get<int64_t>(),
                                                    order.at("samples_of_run").get<int64_t>())
         : shuffle == "full"          ? "all"
                                      : "-",
         fmt::format("{:.2f}", order.at("read_amplification").get<double>()),
         fmt::format("{:.2f}", order.at("distance").get<double>()),
         order.contains("label_variance") ? fmt::format("{:.2f}", order.at("label_variance").get<double>())
                                          : "-"});
  }
  print_text("{}\n", report.at("data").get<std::string>());
  print_table(rows, {false, true, true, true, true});
  print_text(
      "mixes: runs x samples of a run, with train.global_batch = {} and\n"
      "  data.shuffle_window = {}\n"
      "decodes: samples that are decoded for each one used\n"
      "distance: of a sample's place in the epoch and in the file; random: 1\n"
      "labels: variance of the labels within a batch; random: 1, above: batches with\n"
      "  too much of some classes\n",
      report.at("global_batch").get<int64_t>(), report.at("window_bytes").get<int64_t>());
}

}  // namespace lockstep
