// SPDX-License-Identifier: GPL-2.0-or-later
// A strict reader of Prometheus' text format, for tests: what promtool would
// object to is an exception.
#pragma once

#include <cctype>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>

namespace ipidefer::daemon::test {

class Exposition final {
  public:
    explicit Exposition(const std::string& text)
    {
        if (text.empty() || text.back() != '\n') fail("no end of line", text);
        // One label that is not makes Prometheus refuse all of it.
        if (!is_utf8(text)) fail("not UTF-8", "");
        std::istringstream in{text};
        for (std::string line; std::getline(in, line);) read(line);
    }

    /// @param series as written: name{label="value",...}
    [[nodiscard]] double value(const std::string& series) const
    {
        const auto at = values_.find(series);
        if (at == values_.end()) fail("no series", series);
        return at->second;
    }
    [[nodiscard]] bool has(const std::string& series) const
    {
        return values_.contains(series);
    }
    /// Sum of all series whose text begins with this.
    [[nodiscard]] double sum(const std::string& prefix) const
    {
        double total = 0;
        for (const auto& [series, value] : values_)
            if (series.starts_with(prefix)) total += value;
        return total;
    }

  private:
    [[noreturn]] static void fail(const std::string& why,
                                  const std::string& where)
    {
        throw std::runtime_error{why + ": " + where};
    }

    static bool is_utf8(const std::string& text)
    {
        try {
            (void)nlohmann::json(text).dump();
            return true;
        } catch (const nlohmann::json::type_error&) {
            return false;
        }
    }

    static bool name_character(char c, bool first)
    {
        return c == '_' || c == ':' ||
               (first ? std::isalpha(static_cast<unsigned char>(c))
                      : std::isalnum(static_cast<unsigned char>(c))) != 0;
    }

    void read(const std::string& line)
    {
        if (line.starts_with("# HELP ")) {
            const auto name = line.substr(7, line.find(' ', 7) - 7);
            if (!helps_.insert(name).second) fail("second HELP", line);
        } else if (line.starts_with("# TYPE ")) {
            const auto space = line.find(' ', 7);
            const auto name = line.substr(7, space - 7);
            if (!types_.emplace(name, line.substr(space + 1)).second)
                fail("second TYPE", line);
            current_ = name;
        } else {
            sample(line);
        }
    }

    void sample(const std::string& line)
    {
        std::size_t at = 0;
        while (at < line.size() && name_character(line[at], at == 0)) ++at;
        const std::string name = line.substr(0, at);
        if (name.empty()) fail("no name", line);
        // Samples of one family stand together, below its type.
        if (name != current_ || !helps_.contains(name))
            fail("not below its HELP and TYPE", line);
        const std::string& type = types_.at(name);
        if (type == "counter" && !name.ends_with("_total"))
            fail("counter without _total", line);
        if (type != "counter" && type != "gauge") fail("type", line);
        if (at < line.size() && line[at] == '{') at = labels(line, at);
        if (at >= line.size() || line[at] != ' ') fail("no value", line);
        std::size_t used = 0;
        const std::string number = line.substr(at + 1);
        const double value = std::stod(number, &used);
        if (used != number.size()) fail("value", line);
        if (type == "counter" && value < 0) fail("negative counter", line);
        if (!values_.emplace(line.substr(0, at), value).second)
            fail("second sample", line);
    }

    /// @return one past the closing brace
    static std::size_t labels(const std::string& line, std::size_t at)
    {
        std::set<std::string> seen;
        do {
            const std::size_t begin = ++at;
            while (at < line.size() && name_character(line[at], at == begin))
                ++at;
            const std::string label = line.substr(begin, at - begin);
            if (label.empty() || !seen.insert(label).second)
                fail("label", line);
            if (line.compare(at, 2, "=\"") != 0) fail("no value", line);
            for (at += 2; at < line.size() && line[at] != '"'; ++at)
                if (line[at] == '\\') ++at;
            ++at;
        } while (at < line.size() && line[at] == ',');
        if (at >= line.size() || line[at] != '}') fail("no brace", line);
        return at + 1;
    }

    std::set<std::string> helps_;
    std::map<std::string, std::string> types_;
    std::map<std::string, double> values_;
    std::string current_;
};

}  // namespace ipidefer::daemon::test
