#pragma once

namespace lockstep::hdf5 {

/// While one lives, this thread is inside libhdf5 for the sake of a data set. The texts outlive it.
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

/// From now on a crash of a thread that is inside libhdf5 is an error in the data: the process prints which
/// data set it is and ends with ExitCode::data, so that nobody starts it again to crash again. Any other
/// crash stays what it was. More than one call is one.
void report_crashes();

}  // namespace lockstep::hdf5
