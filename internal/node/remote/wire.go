package remote

import (
	"encoding/json"
	"errors"

	"connectrpc.com/connect"

	"hearth/internal/cloud"
)

// jsonCodec carries Go values as JSON; the contract needs no second language.
type jsonCodec struct{}

func (jsonCodec) Name() string                       { return "hearth" }
func (jsonCodec) Marshal(v any) ([]byte, error)      { return json.Marshal(v) }
func (jsonCodec) Unmarshal(data []byte, v any) error { return json.Unmarshal(data, v) }

// Paths of the calls.
const service = "/hearth.node.v1.Node/"

const (
	callStatus         = service + "Status"
	callApplyInstance  = service + "ApplyInstance"
	callRemoveInstance = service + "RemoveInstance"
	callInstances      = service + "Instances"
	callOpenConsole    = service + "OpenConsole"
	callStats          = service + "InstanceStats"
	callSetPassword    = service + "SetPassword"
	callCacheImage     = service + "CacheImage"
	callDropImage      = service + "DropImage"
	callConsole        = service + "Console"
	callPassword       = service + "Password"
	callForgetPassword = service + "ForgetPassword"
	callApplyVolume    = service + "ApplyVolume"
	callRemoveVolume   = service + "RemoveVolume"
	callReadVolume     = service + "ReadVolume"
	callVolumes        = service + "Volumes"
	callExportVolume   = service + "ExportVolume"
	callWithdrawVolume = service + "WithdrawVolume"
	callExports        = service + "Exports"
	callApplyNetwork   = service + "ApplyNetwork"
	callRemoveNetwork  = service + "RemoveNetwork"
	callApplyRouter    = service + "ApplyRouter"
	callRemoveRouter   = service + "RemoveRouter"
	callNetworks       = service + "Networks"
	callWatch          = service + "Watch"
	callExplain        = service + "Explain"
	callFindings       = service + "Findings"
)

// Messages that are not types of the contract.
type (
	empty   struct{}
	named   struct{ Kind, ID string }
	excerpt struct {
		ID  string
		Max int
	}
	withdrawal struct {
		Disk  string
		Asked int64
	}
	list[T any] struct{ Items []T }
	part        struct{ Bytes []byte } // of a stream of bytes
)

// Names of the metadata that an error travels with.
const (
	metaKind = "Hearth-Kind"
	metaOp   = "Hearth-Op"
)

// toWire gives an error the shape in which it keeps its kind and sentence.
func toWire(err error) error {
	if err == nil {
		return nil
	}
	kind := cloud.KindOf(err)
	wire := connect.NewError(code(kind), errors.New(cloud.Message(err)))
	wire.Meta().Set(metaKind, kind.String())
	var known *cloud.Error
	if errors.As(err, &known) {
		wire.Meta().Set(metaOp, known.Op)
	}
	return wire
}

// fromWire is the inverse of toWire. What did not come from the other end is a
// failure to reach it.
func fromWire(op, node string, err error) error {
	if err == nil {
		return nil
	}
	var wire *connect.Error
	if errors.As(err, &wire) && wire.Meta().Get(metaKind) != "" {
		if o := wire.Meta().Get(metaOp); o != "" {
			op = o
		}
		return cloud.E(op, kindOf(wire.Meta().Get(metaKind)), "%s", wire.Message())
	}
	return cloud.E(op, cloud.Unavailable, "node %s cannot be reached: %w", node, err)
}

// kindOf is the kind of a name; Internal for an unknown one.
func kindOf(name string) cloud.Kind {
	for k := cloud.Internal; k <= cloud.NotAcceptable; k++ {
		if k.String() == name {
			return k
		}
	}
	return cloud.Internal
}

// code is Connect's nearest code, for tools that look at the traffic.
func code(k cloud.Kind) connect.Code {
	switch k {
	case cloud.Invalid:
		return connect.CodeInvalidArgument
	case cloud.NotFound, cloud.Gone:
		return connect.CodeNotFound
	case cloud.Conflict:
		return connect.CodeAborted
	case cloud.Forbidden:
		return connect.CodePermissionDenied
	case cloud.Unauthenticated:
		return connect.CodeUnauthenticated
	case cloud.Unavailable:
		return connect.CodeUnavailable
	case cloud.Unsupported:
		return connect.CodeUnimplemented
	case cloud.QuotaExceeded, cloud.NoCapacity:
		return connect.CodeResourceExhausted
	}
	return connect.CodeInternal
}
