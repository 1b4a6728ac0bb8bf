// SQLite: a connection, statements, transactions.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/file.h"
#include "server/names.h"

struct sqlite3;
struct sqlite3_stmt;

namespace diffit::server {

/// A connection to a database in write-ahead mode: what is committed survives the end of the process, however
/// it ends. Every function of it and of its statements throws Error(failed) with the path. One thread at a
/// time.
class Database {
 public:
  explicit Database(const fs::path& path);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  /// Runs statements without values.
  void run(const char* sql);
  std::int64_t last_id() const;
  /// Rows that the last statement changed.
  std::int64_t changes() const;

 private:
  friend class Statement;
  [[noreturn]] void fail_with(const char* what) const;

  fs::path path_;
  sqlite3* handle_ = nullptr;
};

/// A statement with '?' for values; values never become part of its text.
///
///   Statement rows(database, "SELECT id, png FROM images WHERE model = ?");
///   rows.bind(model);
///   while (rows.next()) use(rows.integer(0), rows.bytes(1));
class Statement {
 public:
  Statement(Database& database, std::string_view sql);
  ~Statement();
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  /// Values of all '?', in order: integers, doubles, text, bytes, optional values (NULL).
  template <class... A>
  Statement& bind(const A&... values) {
    int place = 0;
    (bind_one(++place, values), ...);
    return *this;
  }
  /// Moves to the next row; false after the last.
  bool next();
  /// Runs it to its end.
  void run() {
    while (next()) {
    }
  }
  /// Starts again, with other values.
  void reset();

  std::int64_t integer(int column) const;
  double real(int column) const;
  std::string text(int column) const;
  std::string bytes(int column) const;
  bool is_null(int column) const;

 private:
  template <class T>
  void bind_one(int place, const T& value) {
    if constexpr (std::is_integral_v<T>) {
      bind_integer(place, static_cast<std::int64_t>(value));
    } else if constexpr (std::is_floating_point_v<T>) {
      bind_real(place, value);
    } else if constexpr (std::is_convertible_v<T, std::string_view>) {
      bind_text(place, value);
    } else {
      bind_bytes(place, value);
    }
  }
  template <class T>
  void bind_one(int place, const std::optional<T>& value) {
    if (value) {
      bind_one(place, *value);
    } else {
      bind_null(place);
    }
  }
  void bind_integer(int place, std::int64_t value);
  void bind_real(int place, double value);
  void bind_text(int place, std::string_view value);
  void bind_bytes(int place, std::span<const std::byte> value);
  void bind_null(int place);

  Database& database_;
  sqlite3_stmt* handle_ = nullptr;
};

/// Changes that are made together: kept by commit(), else undone.
class Transaction {
 public:
  explicit Transaction(Database& database) : database_(database) { database_.run("BEGIN IMMEDIATE"); }
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit();

 private:
  Database& database_;
  bool open_ = true;
};

}  // namespace diffit::server
