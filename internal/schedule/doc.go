// Package schedule is the study: a snapshot of the fleet goes in, a host or an
// explained refusal comes out. It is pure: it reads no clock, no database and no
// network, and the same snapshot gives the same plan.
package schedule
