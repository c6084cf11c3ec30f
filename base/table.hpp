// SPDX-License-Identifier: GPL-2.0-or-later
// Table: text in columns, each as wide as its widest cell, two blanks apart.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace ipidefer {

class Table final {
  public:
    struct Column {
        enum class Side { kLeft, kRight };

        std::string head{};  // all empty: the table has no head
        Side side = Side::kRight;
        std::size_t least = 0;  // characters
        std::size_t most = 0;   // longer cells are cut; 0: none is
    };
    static Column left(std::string head, std::size_t least = 0,
                       std::size_t most = 0)
    {
        return {std::move(head), Column::Side::kLeft, least, most};
    }
    static Column right(std::string head, std::size_t least = 0,
                        std::size_t most = 0)
    {
        return {std::move(head), Column::Side::kRight, least, most};
    }

    explicit Table(std::vector<Column> columns);

    /// @param cells UTF-8, one for each column
    void row(std::vector<std::string> cells);
    /// A line across the columns: a section's title.
    void line(std::string text);

    /// Without blanks at their ends.
    [[nodiscard]] std::vector<std::string> lines() const;
    /// The same, each with its end.
    [[nodiscard]] std::string text() const;

  private:
    struct Row {
        std::vector<std::string> cells;
        bool whole = false;  // one cell, across the columns
    };

    std::vector<Column> columns_;
    std::vector<Row> rows_;
};

}  // namespace ipidefer
