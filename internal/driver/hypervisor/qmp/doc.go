// Package qmp is a small client of the QEMU Machine Protocol: JSON objects, one a line, over a stream
// (https://www.qemu.org/docs/master/interop/qmp-spec.html). QEMU greets, the client negotiates capabilities,
// then commands and their replies are matched by id and events arrive at any time between them.
//
// The client is tolerant: fields and messages it does not know are skipped, a reply to a command whose caller has
// given up is dropped, and a slow reader of events loses the oldest ones instead of stalling the connection
// (an event is a hint; the state is asked for). It is strict in one thing: a message longer than maxMessage ends
// the connection, since a guest that broke into its QEMU must not be able to fill this process's memory.
package qmp
