#pragma once

namespace lockstep::hdf5 {

/// Marks this thread as inside libhdf5 on behalf of a data set, for the lifetime of the object. The texts
/// must outlive it.
class InsideLibhdf5 {
 public:
  InsideLibhdf5(const char* file, const char* dataset);
  ~InsideLibhdf5();
  InsideLibhdf5(const InsideLibhdf5&) = delete;
  InsideLibhdf5& operator=(const InsideLibhdf5&) = delete;

  const char* file() const { return file_; }
  const char* dataset() const { return dataset_; }

 private:
  const char *file_, *dataset_;
  const InsideLibhdf5* before_;
};

/// From now on, treats a crash of a thread inside libhdf5 as an error in the data: the process prints the
/// data set and ends with ExitCode::data, so that it is not restarted just to crash again. Other crashes are
/// not affected. Repeated calls have no effect.
void report_crashes();

}  // namespace lockstep::hdf5
