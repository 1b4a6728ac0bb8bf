#include "server/database.h"

#include <sqlite3.h>

#include "base/error.h"

namespace diffit::server {

Database::Database(const fs::path& path) : path_(path) {
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  if (sqlite3_open_v2(path.c_str(), &handle_, flags, nullptr) != SQLITE_OK) {
    const std::string reason = handle_ == nullptr ? "out of memory" : sqlite3_errmsg(handle_);
    sqlite3_close(handle_);
    fail("{}: cannot open the database: {}", path.string(), reason);
  }
  sqlite3_busy_timeout(handle_, 5000);
  try {
    run("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON");
  } catch (...) {
    sqlite3_close(handle_);
    throw;
  }
}

Database::~Database() {
  sqlite3_close(handle_);
}

void Database::fail_with(const char* what) const {
  fail("{}: {}: {}", path_.string(), what, sqlite3_errmsg(handle_));
}

void Database::run(const char* sql) {
  if (sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) fail_with("cannot be changed");
}

std::int64_t Database::last_id() const {
  return sqlite3_last_insert_rowid(handle_);
}

std::int64_t Database::changes() const {
  return sqlite3_changes64(handle_);
}

Statement::Statement(Database& database, std::string_view sql) : database_(database) {
  if (sqlite3_prepare_v2(database.handle_, sql.data(), static_cast<int>(sql.size()), &handle_, nullptr) !=
      SQLITE_OK) {
    database_.fail_with("a statement is not understood");
  }
}

Statement::~Statement() {
  sqlite3_finalize(handle_);
}

bool Statement::next() {
  const int code = sqlite3_step(handle_);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) database_.fail_with("cannot be read or changed");
  return false;
}

void Statement::reset() {
  sqlite3_reset(handle_);
  sqlite3_clear_bindings(handle_);
}

void Statement::bind_integer(int place, std::int64_t value) {
  if (sqlite3_bind_int64(handle_, place, value) != SQLITE_OK) database_.fail_with("a value is not taken");
}

void Statement::bind_real(int place, double value) {
  if (sqlite3_bind_double(handle_, place, value) != SQLITE_OK) database_.fail_with("a value is not taken");
}

// SQLite copies the value (the destructor argument -1, which its macro spells with an old-style cast).
const sqlite3_destructor_type kCopy = reinterpret_cast<sqlite3_destructor_type>(std::intptr_t{-1});

void Statement::bind_text(int place, std::string_view value) {
  if (sqlite3_bind_text64(handle_, place, value.data() == nullptr ? "" : value.data(), value.size(), kCopy,
                          SQLITE_UTF8) != SQLITE_OK) {
    database_.fail_with("a text is not taken");
  }
}

void Statement::bind_bytes(int place, std::span<const std::byte> value) {
  if (sqlite3_bind_blob64(handle_, place, value.empty() ? static_cast<const void*>("") : value.data(),
                          value.size(), kCopy) != SQLITE_OK) {
    database_.fail_with("bytes are not taken");
  }
}

void Statement::bind_null(int place) {
  if (sqlite3_bind_null(handle_, place) != SQLITE_OK) database_.fail_with("a value is not taken");
}

std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(handle_, column);
}

double Statement::real(int column) const {
  return sqlite3_column_double(handle_, column);
}

std::string Statement::text(int column) const {
  return bytes(column);
}

std::string Statement::bytes(int column) const {
  const void* data = sqlite3_column_blob(handle_, column);
  const int size = sqlite3_column_bytes(handle_, column);
  return data == nullptr ? std::string()
                         : std::string(static_cast<const char*>(data), static_cast<std::size_t>(size));
}

bool Statement::is_null(int column) const {
  return sqlite3_column_type(handle_, column) == SQLITE_NULL;
}

Transaction::~Transaction() {
  if (!open_) return;
  try {
    database_.run("ROLLBACK");
  } catch (const Error&) {  // SQLite has rolled back by itself, on a full disk for example
  }
}

void Transaction::commit() {
  database_.run("COMMIT");
  open_ = false;
}

}  // namespace diffit::server
