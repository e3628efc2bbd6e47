// Package guide holds what a receiver must do with immunization messages: CDC's guide for
// HL7 2.5.1 (release 1.5 with the addendum of 2015: profiles Z22, Z34, Z44) and, as far as
// it is known from the field, version 2.3.1. It says what of a message counts, what the
// sender has to be told, and frames the answer. It looks at the message alone; what the
// registry knows is for package hl7.
package guide
