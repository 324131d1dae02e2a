import { useEffect, useRef } from 'preact/hooks';

/** Distance from the end of the page at which its reader still follows it, pixels. */
const NEAR_PX = 120;

/**
 * Keeps the end of a growing list in view, unless its reader has scrolled away from it; an added
 * entry brings the end back. Returns the reference of the element behind the list.
 */
export function useFollowedEnd(list: readonly unknown[]) {
  const end = useRef<HTMLDivElement>(null);
  const isFollowed = useRef(true);
  const length = useRef(0);
  useEffect(() => {
    const look = () => {
      const page = document.documentElement;
      isFollowed.current = page.scrollHeight - innerHeight - scrollY < NEAR_PX;
    };
    addEventListener('scroll', look, { passive: true });
    return () => removeEventListener('scroll', look);
  }, []);
  useEffect(() => {
    const hasNew = list.length !== length.current;
    length.current = list.length;
    if (list.length > 0 && (hasNew || isFollowed.current)) {
      end.current?.scrollIntoView({ block: 'end' });
    }
  }, [list]);
  return end;
}
