#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "kernels/gemm/choice_line.h"

namespace float8::kernels {

/// Chosen algorithms, kept in a text file between runs: a line that names the format, then one for
/// each choice. Any number of threads and processes may share it. Nothing here throws or stops a
/// run: what can't be read or written is left as it is and noted, and so are the lines of other
/// devices and versions.
class ChoiceFile {
 public:
  /// Reads the file, which need not exist; an empty path keeps nothing.
  explicit ChoiceFile(const std::string& path);

  bool enabled() const { return !path_.empty(); }

  std::optional<cublasLtMatmulAlgo_t> find(const std::string& key) const;

  /// Adds a choice or replaces it, here and in the file: what others have added there stays.
  void store(const Choice& choice);

  /// Forgets a choice that does not run after all; in the file, the next one will replace it.
  void forget(const std::string& key);

  /// What could not be read, written or used, and why.
  std::vector<std::string> notes() const;

 private:
  // Under mutex_.
  void note(std::string text);
  std::optional<std::vector<std::string>> read_lines();
  void add_to_file(const Choice& choice);

  std::string path_;
  bool ours_ = false;  // the file may be written: it is not there yet, or begins as it should
  mutable std::mutex mutex_;
  std::map<std::string, cublasLtMatmulAlgo_t> choices_;
  std::vector<std::string> notes_;
};

}  // namespace float8::kernels
