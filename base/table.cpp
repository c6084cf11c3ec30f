// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/table.hpp"

#include <algorithm>
#include <stdexcept>

namespace ipidefer {
namespace {

constexpr std::size_t kApart = 2;

bool begins_character(char byte)
{
    return (static_cast<unsigned char>(byte) & 0xc0) != 0x80;
}

/// Characters: what a terminal shows of UTF-8, wide ones apart.
std::size_t width(const std::string& text)
{
    return static_cast<std::size_t>(std::ranges::count_if(
        text, [](char byte) { return begins_character(byte); }));
}

/// At most so many characters, none of them in part.
void cut(std::string& text, std::size_t most)
{
    std::size_t seen = 0;
    const auto end = std::ranges::find_if(text, [&](char byte) {
        return begins_character(byte) && seen++ == most;
    });
    text.erase(end, text.end());
}

}  // namespace

Table::Table(std::vector<Column> columns) : columns_{std::move(columns)}
{
    if (std::ranges::all_of(columns_, &std::string::empty, &Column::head))
        return;
    std::vector<std::string> head;
    for (const Column& column : columns_) head.push_back(column.head);
    rows_.push_back({std::move(head)});
}

void Table::row(std::vector<std::string> cells)
{
    if (cells.size() != columns_.size())
        throw std::logic_error{"a row of " + std::to_string(cells.size()) +
                               " cells in a table of " +
                               std::to_string(columns_.size()) + " columns"};
    for (std::size_t i = 0; i < cells.size(); ++i)
        if (columns_[i].most != 0) cut(cells[i], columns_[i].most);
    rows_.push_back({std::move(cells)});
}

void Table::line(std::string text)
{
    rows_.push_back({{std::move(text)}, true});
}

std::vector<std::string> Table::lines() const
{
    std::vector<std::size_t> widths;
    for (const Column& column : columns_) widths.push_back(column.least);
    for (const Row& row : rows_)
        if (!row.whole)
            for (std::size_t i = 0; i < row.cells.size(); ++i)
                widths[i] = std::max(widths[i], width(row.cells[i]));
    std::vector<std::string> lines;
    for (const Row& row : rows_) {
        std::string line;
        for (std::size_t i = 0; i < row.cells.size(); ++i) {
            if (i != 0) line.append(kApart, ' ');
            const std::string blanks(
                row.whole ? 0 : widths[i] - width(row.cells[i]), ' ');
            const bool left = columns_[i].side == Column::Side::kLeft;
            line += left ? row.cells[i] + blanks : blanks + row.cells[i];
        }
        line.erase(line.find_last_not_of(' ') + 1);
        lines.push_back(std::move(line));
    }
    return lines;
}

std::string Table::text() const
{
    std::string text;
    for (const std::string& line : lines()) {
        text += line;
        text += '\n';
    }
    return text;
}

}  // namespace ipidefer
