// Package httpkit holds what the HTTP doors share: a handler adapter, argument
// decoding, the status of a fault, middleware, the client's address and token, CSV.
//
// It writes no table and knows no feature and no wire shape: a Door brings its
// own envelope.
package httpkit
