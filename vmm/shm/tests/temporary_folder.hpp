// SPDX-License-Identifier: GPL-2.0-or-later
// A folder for segments of one test: parallel tests do not meet.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace ipidefer::shm::test {

class TemporaryFolder final {
  public:
    TemporaryFolder()
    {
        std::string path =
            std::filesystem::temp_directory_path() / "ipidefer-XXXXXX";
        if (::mkdtemp(path.data()) == nullptr)
            throw std::runtime_error{"no temporary folder"};
        path_ = path;
    }
    ~TemporaryFolder()
    {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;

    [[nodiscard]] const std::filesystem::path& path() const { return path_; }
    [[nodiscard]] const char* c_str() const { return path_.c_str(); }

  private:
    std::filesystem::path path_;
};

}  // namespace ipidefer::shm::test
