// Whether the server at the other end of a connection still takes connections.
#pragma once

namespace teamscale {

// Connects to where the socket is connected to and asks whether it speaks TLS, which a server
// answers before anything else. False when no answer comes within the milliseconds. Never raises;
// callable while a transaction ends. libpq's PQcancel waits for ever on a server that has stopped.
bool AnswersConnections(int connected_socket, int milliseconds) noexcept;

}  // namespace teamscale
