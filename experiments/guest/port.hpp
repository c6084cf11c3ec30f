// SPDX-License-Identifier: GPL-2.0-or-later
// The serial port to the host: lines of text, both ways.
#pragma once

#include <string>
#include <string_view>

namespace ipidefer::lab::agent {

class Port {
  public:
    /// Throws std::system_error.
    explicit Port(const char* device);
    ~Port();
    Port(const Port&) = delete;
    Port& operator=(const Port&) = delete;

    /// The next line, without its end. Throws when the port is gone.
    [[nodiscard]] std::string read_line();
    void write_line(std::string_view line);

  private:
    int fd_;
    std::string pending_;
};

}  // namespace ipidefer::lab::agent
