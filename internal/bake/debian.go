package bake

import (
	"context"
	"errors"
)

func debian(ctx context.Context, o *oven) (*system, error) { return nil, errors.New("later") }
