package reconcile

import (
	"context"
	"time"
)

// Scheduler makes the snapshots that volumes' and servers' schedules ask for;
// service/volume is one.
type Scheduler interface {
	// TakeScheduled makes those that are due and gives up those beyond what is to be
	// kept. Called again it does nothing until more are due.
	TakeScheduled(ctx context.Context) error
}

// scheduleBeat is how late a scheduled snapshot is at the most.
const scheduleBeat = 2 * time.Minute

func (k *Housekeeper) runSchedules(ctx context.Context) {
	if k.Schedules == nil {
		return
	}
	beat(ctx, nil, scheduleBeat, func(ctx context.Context) {
		if err := k.Schedules.TakeScheduled(ctx); err != nil && ctx.Err() == nil {
			k.Log.Error("cannot look for snapshots that are due", "error", err)
		}
	})
}
