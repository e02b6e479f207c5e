#include "teamscale/postgres/cluster/reachability.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>

namespace teamscale {

namespace {

using Clock = std::chrono::steady_clock;

class Socket {
 public:
  explicit Socket(int family)
      : descriptor_(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {}
  ~Socket() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  int descriptor() const { return descriptor_; }

  bool Wait(short events, Clock::time_point until) const {
    for (;;) {
      auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
      if (left <= 0) return false;
      pollfd waited{.fd = descriptor_, .events = events, .revents = 0};
      int ready = poll(&waited, 1, static_cast<int>(left));
      if (ready > 0) return true;
      if (ready < 0 && errno != EINTR) return false;
    }
  }

 private:
  int descriptor_;
};

// SSLRequest of the frontend/backend protocol: its length, and a version that no protocol has.
struct TlsRequest {
  std::uint32_t length = htonl(8);
  std::uint32_t code = htonl((1234U << 16) | 5679U);
};

}  // namespace

bool AnswersConnections(int connected_socket, int milliseconds) noexcept {
  auto until = Clock::now() + std::chrono::milliseconds(milliseconds);
  sockaddr_storage peer{};
  socklen_t length = sizeof(peer);
  auto* address = reinterpret_cast<sockaddr*>(&peer);
  if (getpeername(connected_socket, address, &length) != 0) return false;
  Socket probe(peer.ss_family);
  if (probe.descriptor() < 0) return false;
  if (connect(probe.descriptor(), address, length) != 0 &&
      (errno != EINPROGRESS || !probe.Wait(POLLOUT, until)))
    return false;
  TlsRequest request;
  if (send(probe.descriptor(), &request, sizeof(request), MSG_NOSIGNAL) != sizeof(request))
    return false;
  char answer;
  return probe.Wait(POLLIN, until) && recv(probe.descriptor(), &answer, 1, 0) == 1;
}

}  // namespace teamscale
