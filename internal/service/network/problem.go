package network

import (
	"errors"
	"fmt"

	"hearth/internal/cloud"
)

// Problem is a refusal by the name that neutron gives it, which clients match
// on. It is the cause inside the cloud.Error that methods return.
type Problem struct {
	Name string // neutron's exception, such as "NetworkInUse"
	Text string
}

// Error is the text.
func (p *Problem) Error() string { return p.Text }

// ProblemName is neutron's name for an error; "" if it has none.
func ProblemName(err error) string {
	var p *Problem
	if errors.As(err, &p) {
		return p.Name
	}
	return ""
}

// refuse makes an error of a kind with neutron's name and words.
func refuse(kind cloud.Kind, name, format string, args ...any) error {
	return cloud.E("network."+name, kind, "%w", &Problem{Name: name, Text: fmt.Sprintf(format, args...)})
}

// conflict is refuse with cloud.Conflict.
func conflict(name, format string, args ...any) error {
	return refuse(cloud.Conflict, name, format, args...)
}

// invalid refuses the input of an operation.
func invalid(format string, args ...any) error {
	return refuse(cloud.Invalid, "InvalidInput", "Invalid input for operation: "+format+".", args...)
}

// badRequest refuses a request about a resource.
func badRequest(resource, format string, args ...any) error {
	return refuse(cloud.Invalid, "BadRequest", "Bad "+resource+" request: "+format+".", args...)
}

// forbidden refuses by a rule of neutron's policy.
func forbidden(rules string) error {
	return refuse(cloud.Forbidden, "PolicyNotAuthorized", "%s is disallowed by policy", rules)
}

// The refusals of what is not there, or not for the caller to see.
func noNetwork(id string) error {
	return refuse(cloud.NotFound, "NetworkNotFound", "Network %s could not be found.", id)
}

func noSubnet(id string) error {
	return refuse(cloud.NotFound, "SubnetNotFound", "Subnet %s could not be found.", id)
}

func noPort(id string) error {
	return refuse(cloud.NotFound, "PortNotFound", "Port %s could not be found.", id)
}

func noRouter(id string) error {
	return refuse(cloud.NotFound, "RouterNotFound", "Router %s could not be found", id)
}

func noFloatingIP(id string) error {
	return refuse(cloud.NotFound, "FloatingIPNotFound", "Floating IP %s could not be found", id)
}

func noGroup(id string) error {
	return refuse(cloud.NotFound, "SecurityGroupNotFound", "Security group %s does not exist", id)
}

func noRule(id string) error {
	return refuse(cloud.NotFound, "SecurityGroupRuleNotFound", "Security group rule %s does not exist", id)
}

// got turns the store's NotFound into neutron's.
func got[T any](v T, err, missing error) (T, error) {
	if cloud.Is(err, cloud.NotFound) {
		return v, missing
	}
	return v, err
}
