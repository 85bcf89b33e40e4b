#!/bin/sh
echo "user: $CINIT_USER"
