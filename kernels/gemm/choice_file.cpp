#include "kernels/gemm/choice_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>
#include <utility>

namespace float8::kernels {
namespace {

namespace fs = std::filesystem;

constexpr const char* kHeader = "float8 gemm choices 1";
constexpr std::size_t kMostNotes = 100;

// Keeps other processes from changing the file, through a file beside it that stays. Waits a second
// at most: a choice that is not kept is only made again.
class FileLock {
 public:
  explicit FileLock(const std::string& path)
      : file_(open((path + ".lock").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0666)) {
    constexpr int kTries = 100;
    constexpr auto kPause = std::chrono::milliseconds(10);
    for (int i = 0; file_ >= 0 && !held_ && i < kTries; ++i) {
      held_ = flock(file_, LOCK_EX | LOCK_NB) == 0;
      if (!held_) {
        std::this_thread::sleep_for(kPause);
      }
    }
  }
  ~FileLock() {
    if (file_ >= 0) {
      close(file_);
    }
  }
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

  bool held() const { return held_; }

 private:
  int file_;
  bool held_ = false;
};

bool write_and_close(int file, const std::string& text) {
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t count = write(file, text.data() + done, text.size() - done);
    if (count < 0 && errno != EINTR) {
      break;
    }
    done += count > 0 ? static_cast<std::size_t>(count) : 0;
  }
  const bool written = done == text.size() && fsync(file) == 0;
  return close(file) == 0 && written;
}

}  // namespace

ChoiceFile::ChoiceFile(const std::string& path) : path_(path) {
  if (path_.empty()) {
    return;
  }
  std::error_code error;
  const fs::path target = fs::canonical(path_, error);  // a link stays a link
  if (!error) {
    path_ = target.string();
  }
  const auto lines = read_lines();
  ours_ = lines.has_value();
  for (std::size_t i = 1; lines && i < lines->size(); ++i) {
    if (const auto choice = from_line((*lines)[i])) {
      choices_[choice->key] = choice->algorithm;
    } else if (!(*lines)[i].empty()) {
      note("line " + std::to_string(i + 1) + " is damaged and was ignored");
    }
  }
}

std::optional<cublasLtMatmulAlgo_t> ChoiceFile::find(const std::string& key) const {
  const std::scoped_lock lock(mutex_);
  const auto found = choices_.find(key);
  return found == choices_.end() ? std::nullopt : std::optional(found->second);
}

void ChoiceFile::store(const Choice& choice) {
  const std::scoped_lock lock(mutex_);
  choices_[choice.key] = choice.algorithm;
  if (ours_) {
    add_to_file(choice);
  }
}

void ChoiceFile::forget(const std::string& key) {
  const std::scoped_lock lock(mutex_);
  if (choices_.erase(key) != 0) {
    note("cuBLASLt refused the stored algorithm of " + key);
  }
}

std::vector<std::string> ChoiceFile::notes() const {
  const std::scoped_lock lock(mutex_);
  return notes_;
}

void ChoiceFile::note(std::string text) {
  if (notes_.size() < kMostNotes) {
    notes_.push_back(path_ + ": " + std::move(text));
  }
}

// All lines, the header first. None for a file that is not ours, or can't be read.
std::optional<std::vector<std::string>> ChoiceFile::read_lines() {
  std::error_code error;
  const fs::file_status status = fs::status(path_, error);
  if (status.type() == fs::file_type::not_found) {
    return std::vector<std::string>{kHeader};
  }
  std::ifstream file;
  if (fs::is_regular_file(status)) {  // to open a pipe would wait for its writer
    file.open(path_);
  }
  if (!file.is_open()) {
    note("must be a readable file; choices are not kept");
    return {};
  }
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    if (lines.empty() && line != kHeader) {
      break;
    }
    lines.push_back(std::move(line));
  }
  if (lines.empty() && fs::file_size(path_, error) != 0) {
    note(std::string("must begin with \"") + kHeader + "\"; it was left as it is");
    return {};
  }
  if (lines.empty()) {
    lines.emplace_back(kHeader);
  }
  return lines;
}

void ChoiceFile::add_to_file(const Choice& choice) {
  const FileLock lock(path_);
  if (!lock.held()) {
    note("could not be locked (" + std::string(std::strerror(errno)) + "); a choice was not kept");
    return;
  }
  const auto lines = read_lines();
  if (!lines) {
    return;
  }
  std::string text;
  for (const std::string& line : *lines) {
    const auto other = from_line(line);
    if (!other || other->key != choice.key) {
      text += line + "\n";
    }
  }
  text += to_line(choice) + "\n";
  // Readers see the old file or the new one, whatever happens in between.
  const std::string next = path_ + ".next";
  const int file = open(next.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0666);
  if (file < 0 || !write_and_close(file, text) || rename(next.c_str(), path_.c_str()) != 0) {
    note("could not be written (" + std::string(std::strerror(errno)) + "); a choice was not kept");
    unlink(next.c_str());
  }
}

}  // namespace float8::kernels
