//! Model gateway.
