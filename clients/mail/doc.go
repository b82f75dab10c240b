// Package mail sends mails to customers through one SMTP server, and writes them from
// templates.
//
// A mail that arrives twice is worse than one that does not arrive, so nothing here is
// repeated. The kind of an error answers one question: can the server have taken the mail?
//
//   - fault.Ambiguous: it can, because the connection broke while the server was taking it
//   - fault.Permanent: no, and it refuses this mail for good
//   - fault.Transient: no, and it may take it later
//   - fault.Denied: no, and it refuses every mail of this account
//
// An SMTP server takes a mail when it answers the dot that ends it (RFC 5321, section
// 4.2.5). Before the dot is sent it has taken nothing.
//
// A password crosses the network encrypted or not at all. smtps:// begins with TLS. smtp://
// requires STARTTLS, except on this machine. The password stands in no error.
//
// github.com/wneessen/go-mail does the protocol and the encoding. SMTP AUTH in all its
// forms, and headers and bodies that any reader can show, are no purpose of this program.
package mail
