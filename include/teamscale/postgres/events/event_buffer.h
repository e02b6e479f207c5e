// The bytes of one event while they are written: the decoding context's own output buffer, with a
// limit. Plain dialect.
//
// What cannot be written (too large, not UTF-8) makes the buffer *spoilt*; whoever writes goes on
// without looking, and the event's end decides: a spoilt event is taken back and becomes a poison
// event with the reason.
#pragma once

#include <cstring>

#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "lib/stringinfo.h"
}

namespace teamscale {

class EventBuffer {
 public:
  EventBuffer(StringInfo out, std::size_t limit) : out_(out), start_(out->len), limit_(limit) {}

  // How many bytes the event may still have.
  std::size_t Room() const {
    std::size_t length = out_->len - start_;
    return length < limit_ ? limit_ - length : 0;
  }
  // Room for so many bytes, or null when the event would become too large.
  char* Reserve(std::size_t size) {
    if (spoilt_) return nullptr;
    if (size > Room()) {
      Spoil("the event is larger than teamscale.max_event_size");
      return nullptr;
    }
    if (out_->len + size >= static_cast<std::size_t>(out_->maxlen))
      enlargeStringInfo(out_, static_cast<int>(size));
    return out_->data + out_->len;
  }
  // What was reserved is written up to end.
  void Advance(const char* end) { out_->len = static_cast<int>(end - out_->data); }

  void Append(const char* bytes, std::size_t size) {
    if (char* at = Reserve(size)) {
      std::memcpy(at, bytes, size);
      out_->len += static_cast<int>(size);
    }
  }
  void Append(std::string_view text) { Append(text.data(), text.size()); }
  void Append(char c) {
    if (char* at = Reserve(1)) {
      *at = c;
      ++out_->len;
    }
  }

  void Spoil(const char* reason) {
    if (!spoilt_) reason_ = reason;
    spoilt_ = true;
  }
  bool spoilt() const { return spoilt_; }
  const char* reason() const { return reason_; }
  // What was appended behind the caller's back, by PostgreSQL's own functions on out(), counts too.
  StringInfo out() { return out_; }
  int length() const { return out_->len; }
  void CutTo(int length) { out_->len = length; }
  // Empty and unspoilt again.
  void Restart() {
    out_->len = start_;
    spoilt_ = false;
  }
  void Terminate() { out_->data[out_->len] = '\0'; }

 private:
  StringInfo out_;
  int start_;
  std::size_t limit_;
  bool spoilt_ = false;
  const char* reason_ = nullptr;
};

}  // namespace teamscale
