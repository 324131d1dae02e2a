import { BACKBONE } from './backbone.ts';
import type { Dashboard } from './dashboard.ts';
import { ENCODERS } from './encoders.ts';
import { GATEWAY } from './gateway.ts';
import { OVERVIEW } from './overview.ts';
import { REQUEST } from './request.ts';

export const DASHBOARDS: readonly Dashboard[] = [OVERVIEW, BACKBONE, ENCODERS, GATEWAY, REQUEST];
